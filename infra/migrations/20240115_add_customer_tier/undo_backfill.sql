UPDATE public.customers t SET customer_tier = NULL
FROM rowproof_batch b
WHERE t.id = b.id AND t.customer_tier IS NOT NULL;
