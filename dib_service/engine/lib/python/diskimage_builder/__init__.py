"""What elements import under this name.

Some call ``$DIB_PYTHON_EXEC`` with programs that import a few modules of
diskimage-builder's; these answer to those names. It is on the path of that
interpreter only.
"""
