"""The part of the report on evidence that says who signed the return off."""

from collections.abc import Iterator

from yidao.node.affairs.reporting.story import Story, VersionTold
from yidao.node.affairs.signoff.told import SignoffTold
from yidao.node.printing.paper import Speech, civil_time


def signed_by(told: SignoffTold, say: Speech) -> str:
    """Say in one sentence who signed, how many must, and when the last one did."""
    policy = told.policy.policy
    names = say("、", ", ").join(
        f"{each.approver.name} ({each.approver.actor})" for each in told.signers
    )
    last = civil_time(max(each.time_s for each in told.signers) * 1000)
    need = f"{policy.threshold}/{len(policy.approvers)}"
    return say(
        f"已由 {names} 签发 (须 {need}), {last}。",
        f"Signed off by {names} ({policy.threshold} of {len(policy.approvers)} must sign), {last}.",
    )


def outcome_of(story: Story, version: VersionTold, say: Speech) -> str:
    """Say who signed a version off, for the verdict of the report; empty if nobody did."""
    told = story.signoff_of(version)
    return "" if told is None else say("", " ") + signed_by(told, say)


def signoff_rows(story: Story, say: Speech) -> Iterator[tuple[str, str]]:
    """Give the rows of the section on sign-offs."""
    for version in story.versions:
        name = say(f"第 {version.number} 版", f"Version {version.number}")
        told = story.signoff_of(version)
        if told is None:
            yield name, say("本文件中没有签发", "the file holds no sign-off")
            continue
        yield name, signed_by(told, say)
        for each in told.signers:
            signer = say(f"{name}, 签名", f"{name}, signature")
            yield (
                signer,
                f"{each.approver.name} ({each.approver.actor}), " + civil_time(each.time_s * 1000),
            )
        yield (
            say(f"{name}, 同批", f"{name}, together with"),
            say(
                f"共 {told.batch.count} 份, 同一树根 {told.batch.root.hex()}",
                f"{told.batch.count} returns in all, under the root {told.batch.root.hex()}",
            ),
        )
        for policy in told.policy.line:
            yield (
                say(
                    f"{name}, 签发人名单第 {policy.policy.version} 版",
                    f"{name}, policy of approvers, version {policy.policy.version}",
                ),
                say(
                    f"{policy.proposal.header.actor} 拟定, {policy.confirmation.header.actor} 确认",
                    f"proposed by {policy.proposal.header.actor}, "
                    f"confirmed by {policy.confirmation.header.actor}",
                ),
            )
        yield (
            say(f"{name}, 上级备案", f"{name}, filed by the parent"),
            told.filing.header.actor
            if told.filing
            else say("本文件中没有", "the file does not say so"),
        )
