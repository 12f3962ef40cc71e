"""Encoding: features to coded features. Nothing here is normative.

``features`` says what a feature is, ``parameter_sets`` what features of one kind have in common.
``encoding`` quantises features, signals their parameters and has them coded, with the help of ``targets``
(QPs that reach a size or an error) and ``restoration`` (statistics for the decoder to restore).
``refcodec.writer`` puts the result into a stream.
"""
