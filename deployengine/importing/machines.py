"""Machines, and those that stand in for what an export leaves out.

Only scripts on the engine's own host are known here. So every machine is written as such a one,
with a note of how Octopus reached it: the catalog can be tried, and says what is still to do.
"""

from __future__ import annotations

from deployengine.importing.directory import SERVER, Directory, is_carried
from deployengine.importing.documents import Document, Kind
from deployengine.importing.export import Export, record
from deployengine.importing.lifecycles import environment_names
from deployengine.importing.record import Record
from deployengine.importing.report import Entry, Items, Place, Report
from deployengine.importing.roles import Roles, borne

#: The ways in which Octopus reaches a machine, by ``CommunicationStyle`` in lower case.
_STYLES = {
    "none": "a cloud region",
    "tentaclepassive": "a Listening Tentacle",
    "tentacleactive": "a Polling Tentacle",
    "ssh": "an SSH target",
    "offlinedrop": "an offline package drop",
    "azurewebapp": "an Azure web app",
    "azurecloudservice": "an Azure cloud service",
    "azureservicefabriccluster": "a Service Fabric cluster",
    "kubernetes": "a Kubernetes cluster",
    "kubernetestentacle": "a Kubernetes agent",
    "awsecscluster": "an ECS cluster",
}

_LOCAL = "its scripts run on this host, in machines/NAME"


class Machines:
    """Turns machines into the section of that name."""

    def __init__(self, export: Export, directory: Directory, report: Report) -> None:
        self._export = export
        self._directory = directory
        self._report = report

    def section(self, roles: Roles, all_environments: list[str]) -> Items:
        """All machines, one for the Octopus server, and one in each environment for other roles."""
        section = Items()
        for document in self._export.of(Kind.MACHINE):
            if not document.reference:
                self._add(document, section)
        known = {role for entry in section for role in entry["roles"]}
        if roles.server_used:
            section.append(self._server(all_environments))
        if lacking := [role for role in roles.used if role not in known]:
            section.extend(self._stand_ins(lacking, all_environments))
        return section

    def _add(self, document: Document, section: Items) -> None:
        read = record(document)
        if not is_carried(document):
            disabled = read.flag("IsDisabled")
            what = "it is disabled" if disabled else "it belongs to no environment"
            self._report.tell(read.place, what, "left out", section)
            return
        entry = self._directory.machines.entry(document.id, read.place, self._report)
        read.text("Name")
        entry["environments"] = environment_names(
            self._export, self._directory.environments, read, "EnvironmentIds"
        )
        entry["roles"] = borne(read.texts("Roles"))
        entry["connection"] = {"kind": "local"}
        self._endpoint(read, entry)
        section.append(entry)

    def _endpoint(self, read: Record, entry: Entry) -> None:
        """How it was reached, in words that a later ``connection`` can be written from."""
        endpoint = read.record("Endpoint")
        style = endpoint.text("CommunicationStyle")
        said = [_STYLES.get(style.casefold(), style or "a machine of an unknown kind")]
        host = endpoint.text("Host")
        if host:
            said.append(f"host {host}, port {endpoint.number('Port') or 22}")
        address = endpoint.text("Uri") or read.text("Uri")
        if address and not host:
            said.append(f"at {address}")
        if mark := endpoint.text("Fingerprint") or endpoint.text("Thumbprint"):
            said.append(f"host key or thumbprint {mark}")
        self._report.tell(read.place, ", ".join(said), _LOCAL, entry)
        for key in _PASSING:
            read.raw(key)
            endpoint.raw(key)
        self._report.rest(endpoint, entry)
        self._report.rest(read, entry)

    def _server(self, environments: list[str]) -> Entry:
        name = self._directory.server_machine()
        entry = Entry(name=name, environments=environments, roles=[SERVER])
        entry["connection"] = {"kind": "local"}
        entry.notes.append("for the steps that ran on the Octopus server or on its workers")
        return entry

    def _stand_ins(self, lacking: list[str], environments: list[str]) -> Items:
        found = Items()
        for environment in environments:
            wanted = f"stand-in {environment}"
            name = self._directory.machines.give(wanted, wanted)
            entry = Entry(name=name, environments=[environment], roles=lacking)
            entry["connection"] = {"kind": "local"}
            found.append(entry)
        place = Place("", f"roles {', '.join(lacking)}")
        what = f"no machine of the export has the roles {', '.join(lacking)}"
        instead = "a machine on this host stands in for them in each environment"
        self._report.tell(place, what, instead, found[0])
        return found


#: What was so at the time of the export, and how Octopus looked after its agents.
_PASSING = (
    *("Status", "HealthStatus", "HasLatestCalamari", "StatusSummary", "IsInProcess", "Uri"),
    *("Thumbprint", "OperatingSystem", "OperatingSystemVersion", "ShellName", "ShellVersion"),
    *("Architecture", "SkipInitialHealthCheck", "MachinePolicyId", "TentacleVersionDetails"),
    *("CertificateSignatureAlgorithm", "DeploymentTargetType", "DotNetCorePlatform"),
)
