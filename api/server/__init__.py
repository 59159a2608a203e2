"""From sockets to the application: listening, connections, HTTP/1.1 and HTTP/2, and the stop."""
