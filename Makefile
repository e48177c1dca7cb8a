# bcpaid: PGXS does the work.  make, make install, make installcheck.

EXTENSION    = bcpaid
EXTVERSION   = 1.0
MODULE_big   = bcpaid
OBJS         = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA_built   = sql/bcpaid--$(EXTVERSION).sql

# curl and jansson, as their own packages describe them.
PG_CPPFLAGS  = -DBCPAID_VERSION='"$(EXTVERSION)"' $(shell curl-config --cflags) $(shell pkg-config --cflags jansson)
SHLIB_LINK   = $(shell curl-config --libs) $(shell pkg-config --libs jansson)

REGRESS      = $(patsubst sql/%.sql,%,$(sort $(filter-out sql/bcpaid--%,$(wildcard sql/*.sql))))
REGRESS_OPTS = --temp-instance=./tmp_check --temp-config=t/regress.conf
ISOLATION    = $(patsubst specs/%.spec,%,$(sort $(wildcard specs/*.spec)))
ISOLATION_OPTS = --temp-instance=./tmp_check_iso --temp-config=t/regress.conf
TAP_TESTS    = 1

EXTRA_CLEAN  = sql/bcpaid--$(EXTVERSION).sql tmp_check tmp_check_iso output_iso

PG_CONFIG   ?= pg_config
PGXS        := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS knows of no header: any change of one rebuilds all.
$(OBJS): $(wildcard src/*.h)

# The install script is written in parts, one job a file, and put together here.
sql/bcpaid--$(EXTVERSION).sql: $(sort $(wildcard src/sql/*.sql)) Makefile
	mkdir -p $(@D)
	cat $(filter %.sql,$^) > $@
