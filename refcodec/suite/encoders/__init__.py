"""The conformance of an encoder, shown on streams that it wrote (B.2).

    stream --validate--> violations
           --survey--> what is in it --> advice on its size
           --decode, beside the source--> distortion
    streams --> elements, values and tools that none of them uses

``report`` brings these together for one encoder.
"""
