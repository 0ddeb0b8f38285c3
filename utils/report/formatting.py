"""How numbers are written for people, the same in tables, figures and sentences."""

MISSING = "–"
"""Stands for a value that was not measured."""

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def percent(share: float) -> str:
    """A share in 0..1 as percent without the sign: 0.8314 → "83.1"."""
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """A difference of shares in percentage points, without a sign: -0.056 → "5.6"."""
    return f"{100 * abs(difference):.1f}"


def in_title(words: str) -> str:
    """With a capital first letter: "accuracy" → "Accuracy"."""
    return words[:1].upper() + words[1:]


def interval(low: float, high: float) -> str:
    """Two shares as an interval in percent: "81.0–85.0", with "to" where one is negative."""
    dash = "–" if low >= 0 else " to "
    return f"{percent(low)}{dash}{percent(high)}".replace("-", "−")


def mean_and_sd(mean: float, sd: float | None) -> str:
    """Mean ± standard deviation in percent; the mean alone where there is no deviation."""
    return percent(mean) if sd is None else f"{percent(mean)} ± {percent(sd)}"


def is_in_nats(metric: str) -> bool:
    """Whether a metric is a loss or a gain in nats; all others are shares."""
    return metric == "gain" or "loss" in metric


def nats(mean: float, sd: float | None = None) -> str:
    """A loss or a gain in nats, with its standard deviation if there is one: "4.321 ± 0.012"."""
    shown = f"{mean:.3f}" if sd is None else f"{mean:.3f} ± {sd:.3f}"
    return shown.replace("-", "−")


def quantity(value: float | None) -> str:
    """A non-negative number with three significant digits: 0.0421, 12.3, 1,240."""
    if value is None:
        return MISSING
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def count(value: float | None) -> str:
    """A whole number, or its mean: 1,920."""
    return MISSING if value is None else f"{value:,.0f}"


def power_of_ten(value: float | None) -> str:
    """A large number as 3.2 × 10¹², with spaces that do not break."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return "\N{NO-BREAK SPACE}".join((digits, "×", power))


def mebibytes(value: float | None) -> str:
    """Bytes in MiB: 1,024."""
    return MISSING if value is None else f"{value / 2**20:,.0f}"


def plural(number: int, noun: str) -> str:
    """ "1 seed", "5 seeds"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
