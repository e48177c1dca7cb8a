"""The sandbox store, in parts: a stateful fake of the BigCommerce calls that bcpaid makes.

In reading order: wire (bytes), state and quota (what a store knows), calls and check (the API and its
rules), faults and exchange (the misbehaviour), control and page (how tests steer it, how people watch
it), server, door and tls (sockets).
"""
