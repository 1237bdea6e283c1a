DROP TRIGGER customer_tier_sync ON public.orders;
DROP FUNCTION public.customer_tier_sync();
DROP FUNCTION public.customer_tier_of(bigint);
DROP INDEX public.orders_by_customer;
ALTER TABLE public.customers DROP COLUMN customer_tier;
