-- A neutralised database sends nothing anyhow: the worker asks for database.is_neutralized. This pauses the stores
-- too, so that it stays so if somebody removes that parameter. The extension may be missing, older or another's.
DO $$
BEGIN
    IF pg_catalog.to_regprocedure('bcpaid.pause(integer)') IS NOT NULL
        AND pg_catalog.to_regclass('bcpaid.stores') IS NOT NULL THEN
        PERFORM bcpaid.pause(s.id) FROM bcpaid.stores s;
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'could not pause the stores of bcpaid: %', SQLERRM;
END $$;
