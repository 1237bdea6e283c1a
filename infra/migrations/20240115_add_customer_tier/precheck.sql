-- A column of this name would be somebody else's.
SELECT table_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = 'customers' AND column_name = 'customer_tier';
