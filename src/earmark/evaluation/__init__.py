"""How good a model file is, on songs whose tags are known.

scoring     a model's scores of a store, or of the audio of a catalog, beside the labels
assessment  all that `earmark evaluate` does, in one call
evaluate    the numbers, each with its interval; compare: those of two models on the same songs
report      report.html and report.json
robustness  what noise, codecs and changes of pitch do to the scores
learning    ROC-AUC against the number of training songs
"""
