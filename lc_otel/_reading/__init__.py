"""LangChain's callback arguments in, `lc_otel.run` records out: the one room that knows its shapes.

Whatever LangChain hands over may be an object, a dict or something broken, so everything is read
by shape and nothing is assumed to be of its documented type.
"""
