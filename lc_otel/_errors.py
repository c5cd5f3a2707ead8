"""What configuration raises, apart from it: the command line knows the error without pydantic."""


class ConfigurationError(ValueError):
    """A setting cannot be used; says what was seen, what was expected, and what to do."""
