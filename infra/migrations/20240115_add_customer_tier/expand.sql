ALTER TABLE public.customers ADD COLUMN customer_tier text;

-- For customers of tomorrow. Those of today stay NULL, by which the backfill finds them.
ALTER TABLE public.customers ALTER COLUMN customer_tier SET DEFAULT 'bronze';

CREATE FUNCTION public.customer_tier_of(customer bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN coalesce(sum(amount), 0) >= 1000 THEN 'gold'
    WHEN coalesce(sum(amount), 0) >= 100 THEN 'silver'
    ELSE 'bronze'
  END
  FROM public.orders WHERE customer_id = customer
$$;

-- Until the application sets the tier itself, it follows the orders.
CREATE FUNCTION public.customer_tier_sync() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  touched bigint;
BEGIN
  FOR touched IN
    SELECT DISTINCT customer FROM unnest(ARRAY[
      CASE WHEN TG_OP <> 'INSERT' THEN OLD.customer_id END,
      CASE WHEN TG_OP <> 'DELETE' THEN NEW.customer_id END]) AS customer
    WHERE customer IS NOT NULL ORDER BY customer
  LOOP
    -- Two orders of one customer go in turn: the second one's sum is taken after the first is committed.
    PERFORM 1 FROM public.customers WHERE id = touched FOR NO KEY UPDATE;
    UPDATE public.customers SET customer_tier = public.customer_tier_of(touched)
    WHERE id = touched AND customer_tier IS DISTINCT FROM public.customer_tier_of(touched);
  END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER customer_tier_sync AFTER INSERT OR UPDATE OR DELETE ON public.orders
  FOR EACH ROW EXECUTE FUNCTION public.customer_tier_sync();
