"""The list of cases, in the order in which they are defined. A case is a function of the bench whose
docstring says what it shows; its name selects it on the command line."""

CASES = []


def case(function):
    CASES.append(function)
    return function
