"""A workload that is upgraded: a custom resource, its controller, and the objects of it that are stored.

The operator is small and real. `program` is what runs in pods, from an image that is made here; `site` is what is asked
of a cluster for it; `way` leads it from v1 to v2, and back; `load` writes objects meanwhile; `trial` judges.
"""
