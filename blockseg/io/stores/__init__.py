"""Object stores and web servers: addresses, objects, and the errors of both."""
