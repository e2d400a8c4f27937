"""Reading other tools' descriptions of a data centre, and writing them as topologies of ours."""
