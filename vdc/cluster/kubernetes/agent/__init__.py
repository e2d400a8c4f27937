"""The agent of a node: a program of its own, which is shipped to guests as it is.

From what the API says of services it makes the names that the node's dnsmasq knows, and the addresses that the node's
BIRD announces; on control planes it also gives services of type LoadBalancer their addresses. All that it has written
stays as it is while no API server answers, or while it does not run itself.

It needs Python 3.11 and nothing else, and knows nothing of the rest of vdc.
"""
