"""Types of command line arguments, for argparse."""
import argparse
import math


def positive(kind):
    """An int or a float above 0 that has an end."""
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"got '{text}', expected a {'whole ' if kind is int else ''}number above 0")
        return value
    return parse
