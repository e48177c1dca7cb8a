from . import bcpaid_answer
from . import bcpaid_settle
