"""mergekit's configs: read as its users write them, resolved to blueprints.

Interface: `read_config(path) -> stages` (in order, the result last), `stage.references` (label to model),
`blueprint(stage, sources by label, dialect=..., seed=...) -> Blueprint`.
"""
