"""The reconciler: proves that catalog and content agree, explains every difference, and makes them agree.

    scan      reads the blobs' listing and every row, once, into a temporary database        [reads]
    workspace the database: what of both sides does not match; candidates only               [disk]
    look      reads every candidate again, live                                              [reads]
    judge     says in which state it is, and who made it                                     [pure]
    plan      what is proposed about it, under which conditions; a file                      [pure]
    apply     carries that out, each action under its conditions, with a journal             [guarded writes]
    undo      takes back what can be taken back                                              [guarded writes]

Nothing is locked, and everybody goes on working. What a scan finds is a suspicion; what is read again afterwards, row
and blob, intents before rows, is a finding; and what has changed since then is left alone when the plan is applied.
"""
