"""Chooses scenarios and runs one, for the runners: those of WordPress at once, those of Drupal one after the other; and what scenarios of both share."""
import html, re, time, traceback


def chosen(modules, words):
    """The scenarios of these modules whose name has one of the words, or all: (name, function)."""
    return [(name, value) for module in modules for name, value in vars(module).items()
            if name.startswith("test_") and (not words or any(w in name for w in words))]


def passes(name, test, world):
    """Runs one and says what came of it. Whether it passed."""
    start, passed = time.monotonic(), True
    try:
        said = test(world) or ""
    except Exception:
        passed, said = False, traceback.format_exc()
    print(f"{'ok     ' if passed else 'FAILED '} {time.monotonic() - start:5.1f} s  {name[5:].replace('_', ' ')}  {said}", flush=True)
    return passed


def text(page):
    """What somebody reads of a page."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))
