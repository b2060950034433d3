"""What `property_test` knows of the function that it tests, as an `Operation`. What no call can be drawn from is refused here,
where the test is made."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.errors import ArgumentError
from tinygrad_edu.registry import REGISTRY, Case, Kink, Operation, Reals
from tinygrad_edu.signatures import signature_of, split_signature
from tinygrad_edu.testing.arguments import DOMAIN, NONE, STRATEGY, Kind, whole
from tinygrad_edu.testing.strategies.domains import check_domain
from tinygrad_edu.transforms import name_of

OPTIONS = ("cases", "reference", "order", "max_examples")  # of property_test
FUNCTION = Kind("a function", callable)
CASES = Kind(
    "a list of tg.Case(...)",
    lambda value: isinstance(value, tuple | list) and all(isinstance(case, Case) for case in value),
)
OPERAND = Kind(
    "tg.reals() or tg.complexes(), or an array or a number, if it is not differentiated",
    lambda value: not isinstance(value, tuple | list | dict | set) and not STRATEGY.fits(value),
)
METADATA = DOMAIN | Kind(
    "a list of alternatives, as [0, 1], or a function that makes one of the operands' shapes",
    lambda value: isinstance(value, tuple | list) or callable(value),
)


def operation_of(
    f: Any, cases: Sequence[Case] | None, reference: Callable[..., Any] | None, order: int | None, domains: dict[str, Any]
) -> Operation:
    """What is known of the function to be tested, and what its caller says of it."""
    known = getattr(f, "op", None) or next((op for op in REGISTRY.values() if op.function is f), None)
    name = known.name if known else name_of(f)
    if known is None and hasattr(f, "forward") and hasattr(f, "to"):  # a module; in float32, that stays float32
        f = copy.deepcopy(f).to(np.float32)
    forward = known.function if known else getattr(f, "forward", f)  # of a module, the method that has its arguments
    operands = known.operands if known else split_signature(forward)[0]
    variadic = known is not None and known.variadic
    signature = signature_of(forward)
    without_default = [n for n in signature.names if n not in signature.defaults]
    required = dict.fromkeys([*operands[: 1 if variadic else None], *without_default])
    if (domains or not known or not known.cases) and cases is None and (clash := [n for n in OPTIONS if n in required]):
        raise ArgumentError(
            f"property_test: {_and(clash)} is an argument of {name} and an option of property_test: say what it is drawn from as "
            f"cases=[tg.Case({', '.join(f'{n}=tg.reals()' for n in required)})]"
        )
    (CASES | NONE).check("property_test", "cases", cases)
    (FUNCTION | NONE).check("property_test", "reference", reference)
    (whole(1) | NONE).check("property_test", "order", order)
    cases = list(cases if cases is not None else known.cases if known and not domains else ())
    cases += [Case(**domains)] if domains else []
    if not cases:
        raise ArgumentError(
            f"property_test: {name} declares no case to draw from: give a domain for each operand, as in "
            f"property_test({name}, {', '.join(f'{operand}=tg.reals()' for operand in operands)})"
        )
    if known is None:  # a list of alternatives is metadata, as it is after the operands
        operands = tuple(n for n in operands if not any(isinstance(case.domains.get(n), list) for case in cases))
    for case in cases:
        _check_names(name, "a domain for", case.domains, signature.names)
        if missing := [n for n in required if n not in case.domains]:
            raise ArgumentError(
                f"property_test: {name} has no domain for operand {_and(missing)}: give {missing[0]}=tg.reals(), or an array, if "
                "it is not differentiated"
            )
        for n, domain in case.domains.items():
            _check_domain(name, n, domain, n in operands, variadic)
        if not any(isinstance(one, Reals) for domain in case.domains.values() for one in _parts(domain)):
            raise ArgumentError(f"property_test: {name} has nothing to differentiate: give an operand as {operands[0]}=tg.reals()")
    kinks: Sequence[Kink] = known.kinks if known else ()
    for kink in kinks:
        _check_names(name, f"its kink {kink.where} with", kink.at, signature.names)
        if absent := [n for n in [*operands, *kink.gradient] if n not in kink.at]:
            raise ArgumentError(f"property_test: {name} declares its kink {kink.where} without {_and(absent)}: give it in at")
    return Operation(
        name,
        f,
        operands,
        variadic,
        known is None or known.elementwise,  # shapes that broadcast, where the domains leave them open
        cases,
        reference or (known.reference if known else None),
        order if order is not None else known.orders if known else 2,
        kinks=kinks,
    )


def _check_names(name: str, what: str, given: Iterable[str], names: Sequence[str]) -> None:
    if unknown := [n for n in given if n not in names]:
        raise ArgumentError(f"property_test: {name} is given {what} {_and(unknown)}, and its arguments are {_and(names)}")


def _check_domain(name: str, argument: str, domain: Any, operand: bool, variadic: bool) -> None:
    who = f"property_test of {name}"
    if operand and variadic:
        Kind("a list with a domain for each operand", lambda value: isinstance(value, tuple | list)).check(who, argument, domain)
    elif not operand:
        METADATA.check(who, argument, domain)
    for one in _parts(domain) if variadic else [domain]:
        if isinstance(one, Reals):
            check_domain(one)
        elif operand:
            OPERAND.check(who, argument, one)


def _parts(domain: Any) -> Sequence[Any]:
    return domain if isinstance(domain, tuple | list) else [domain]


def _and(names: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(names))
