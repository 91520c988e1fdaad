"""AWS's patterns are Java's and match whole values; this says the same to PCRE2."""
import re

# Java's POSIX classes are ASCII without UNICODE_CHARACTER_CLASS. Source: java.util.regex.Pattern
POSIX = {
    "Lower": "a-z", "Upper": "A-Z", "ASCII": r"\x00-\x7F", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9",
    "Punct": r"!-\/:-@\[-`{-~", "Graph": "!-~", "Print": " -~", "Blank": r" \t", "Cntrl": r"\x00-\x1F\x7F",
    "XDigit": "0-9a-fA-F", "Space": r" \t\n\x0B\f\r",
}


def translate(java):
    out, i, depth = [], 0, 0
    while i < len(java):
        rest = java[i:]
        posix = re.match(r"\\([pP])\{(?:Is)?(\w+)\}", rest)
        surrogates = re.match(r"\\u([dD][89abAB]\w\w)\\u([dD][c-fC-F]\w\w)", rest)
        code = re.match(r"\\u([0-9a-fA-F]{4})", rest)
        if posix and posix[2] in POSIX:
            inside = POSIX[posix[2]]
            if posix[1] == "P" and depth:
                raise SystemExit(f"{java}: {posix[0]} inside a class has no translation yet")
            out.append(inside if depth else f"[{'^' if posix[1] == 'P' else ''}{inside}]")
            i += posix.end()
        elif surrogates:
            high, low = int(surrogates[1], 16), int(surrogates[2], 16)
            out.append(rf"\x{{{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):X}}}")
            i += surrogates.end()
        elif code:
            value = int(code[1], 16)
            out.append("" if 0xD800 <= value <= 0xDFFF else rf"\x{{{value:X}}}")
            i += code.end()
        elif depth and re.match(r"\\[wWdDsS]-[^]]", rest):
            out.append(rest[:2] + "\\-")  # Java takes the hyphen behind a class as itself, PCRE2 as a broken range
            i += 3
        elif rest.startswith("\\"):
            out.append(rest[:2])
            i += 2
        else:
            if depth and rest.startswith("&&"):
                raise SystemExit(f"{java}: an intersection of classes has no translation yet")
            if rest[0] == "[" and not depth:
                depth = 1
                # A first ] is an error in Java, so there is none to guard.
            elif rest[0] == "]" and depth:
                depth = 0
            elif rest[0] == "[" and depth:
                out.append("\\")  # PCRE2 reads it literally, too, but [: would begin a POSIX class
            out.append(rest[0])
            i += 1
    return r"\A(?:" + "".join(out) + r")\z"
