"""Networks cut in two: a head that makes features, a tail that goes on with them. Needs torch."""
