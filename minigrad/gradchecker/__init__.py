"""The parts of `mg.gradcheck`.

README.md in this folder says what each file does, and in which order to read them.
"""
