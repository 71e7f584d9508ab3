"""Prompts: variables whose value is asked for when a release is deployed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from deployengine.domain.errors import RequestError, UnknownName
from deployengine.domain.variables import Context, Sealed, Source, Variable, key

#: Kinds of scope that a deployment as a whole decides; the others are matched run by run.
_DECIDED = ("environments", "channels", "phases")


class MissingValues(RequestError):
    """Values that must be given were not."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A value that is asked for; ``has_default``: an empty answer takes the one that stands there.

    An answer must not be empty where it is ``required``.
    """

    name: str
    label: str
    description: str
    required: bool
    sensitive: bool
    has_default: bool

    @property
    def must_be_given(self) -> bool:
        """Whether a deployment without an answer is refused."""
        return self.required and not self.has_default


def prompts(sources: Sequence[Source], context: Context) -> tuple[Prompt, ...]:
    """What is asked for a deployment to this place, each name once, in order."""
    found: dict[str, Prompt] = {}
    for variable in _prompted(sources, context):
        said = variable.prompt or {}
        prompt = Prompt(
            name=variable.name.strip(),
            label=str(said.get("label") or variable.name.strip()),
            description=str(said.get("description", "")),
            required=bool(said.get("required", False)),
            sensitive=variable.secret,
            has_default=bool(variable.value),
        )
        before = found.setdefault(key(variable.name), prompt)
        if prompt.must_be_given and not before.must_be_given:  # of several values of one name
            found[key(variable.name)] = prompt
    return tuple(found.values())


def check(asked: Sequence[Prompt], given: Mapping[str, str], project: str) -> None:
    """Raises :class:`UnknownName` for a value that nobody asks for, and :class:`MissingValues`."""
    names = {key(prompt.name): prompt.name for prompt in asked}
    values = {key(name): value for name, value in given.items()}
    for name in given:
        if key(name) not in names:
            raise UnknownName(f"prompted variable of {project}", name, names.values())
    missing = [
        prompt.name for prompt in asked if prompt.must_be_given and not values.get(key(prompt.name))
    ]
    if missing:
        raise MissingValues(
            f"{project} asks for {', '.join(missing)}",
            None,
            "give each with release deploy --variable NAME=VALUE or --variable-file FILE; "
            "what is deployed by itself needs a value in the catalog",
        )


def answered(sources: Sequence[Source], given: Mapping[str, str | Sealed]) -> tuple[Source, ...]:
    """The sources with what was given in the place of what stands there.

    An empty text is no answer: the default stays.
    """
    values = {key(name): value for name, value in given.items() if value}
    return tuple(
        Source(source.label, tuple(_with_answer(v, values) for v in source.variables))
        for source in sources
    )


def _with_answer(variable: Variable, values: Mapping[str, str | Sealed]) -> Variable:
    value = values.get(key(variable.name)) if variable.prompt is not None else None
    return variable if value is None else replace(variable, value=value)


def _prompted(sources: Iterable[Source], context: Context) -> Iterable[Variable]:
    return (
        variable
        for source in sources
        for variable in source.variables
        if variable.prompt is not None
        and all(
            not variable.scope.of(kind)
            or not set(variable.scope.of(kind)).isdisjoint(context.offers(kind))
            for kind in _DECIDED
        )
    )
