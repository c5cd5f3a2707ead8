"""Run in, span name, kind and attributes out: pure tables, a module a convention."""
