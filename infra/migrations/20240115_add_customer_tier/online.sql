-- The tier is a sum over one customer's orders: without an index each batch would read all of them.
CREATE INDEX CONCURRENTLY orders_by_customer ON public.orders (customer_id);
