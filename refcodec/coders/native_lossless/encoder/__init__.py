"""The native lossless encoder; nothing here is normative.

payload  one feature: header, mode, and raw if coding gains nothing
survey   the header of a feature, from all its words
context  encoding in the context mode
fast     encoding in the fast mode
"""
