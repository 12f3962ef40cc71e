"""The native lossless encoder; nothing here is normative.

payload  one feature: header, mode, and raw where nothing is gained
survey   what the words of a feature have in common
context  the context mode, forwards
fast     the fast mode, forwards
"""
