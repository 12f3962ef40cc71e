"""The demonstration: a small network, its held-out images, and the job of `refcodec demo`."""
