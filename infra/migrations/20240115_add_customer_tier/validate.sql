SELECT id FROM public.customers WHERE customer_tier NOT IN ('gold', 'silver', 'bronze') LIMIT 5;
