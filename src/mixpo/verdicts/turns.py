"""Words at which a sentence turns from what seemed so, or from its reasons, to what it says."""

import re

PROVISIONAL = re.compile(
    r"\b(?:initially|at first|first|originally|thought|would (?:be|have)|might|could|seem\w*|appear\w*"
    r"|looks?|resembl\w+|similar|guess\w*|if)\b"
)
DECIDES = re.compile(
    r"\b(?:but|however|yet|so|hence|thus|therefore|in fact|actually)\b,? (?:\w+ ){0,4}?(?:is|was|must be"
    r"|should be|are)\b"
    r"|\bbut (?:on|upon|after) [^.\n]{3,40}?,? "
)
"""Where a sentence leaves a first guess and says what it is."""
RESULTS = re.compile(
    r"\b(?:so|thus|hence|therefore|indicating(?: that)?|which means(?: that)?|meaning(?: that)?|making it"
    r"|suggesting(?: that)?|showing that)\b|因此|所以|ので[,、]"
)
"""Where it says what follows from what stands before."""
