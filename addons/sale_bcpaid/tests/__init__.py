from . import test_guard
from . import test_order
from . import test_list
from . import test_capture
from . import test_store
from . import test_note
from . import test_connector
