from . import test_forms
