# Developers' commands; what users need is in README.md.
python = .venv/bin/python
seed ?= 1
minutes ?= 60

.PHONY: battery soak mutations

# Every failpoint, every kind of fault, both databases: a few minutes.
battery:
	$(python) -m battery ci --seed $(seed)

# The same with new seeds until the time is over; a line per round goes to soak.jsonl.
soak:
	$(python) -m battery soak --minutes $(minutes) --seed $(seed)

# Leaves each protection out in turn; the battery must find the harm.
mutations:
	$(python) -m battery mutations --seed $(seed)
