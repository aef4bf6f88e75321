"""A person's music folder: what is heard in it, tags in its files, playlists, songs that are alike.

database, journal : the file that remembers; song : one row of it
content : what a file's audio is, whatever its tags; hearing : one file through the model
survey, scan : what is new, and hearing it
settings : which tags count, and what they are called; wanted : from scores to fields
tag_file : the fields of a file, in every format
write, rewrite, delta, undo : fields into files, safely, and back again
similar : songs that sound alike; expression, playlist, m3u : songs in an order
"""
