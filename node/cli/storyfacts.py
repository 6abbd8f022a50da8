"""The facts that the evidence of a return proves, for programs."""

from yidao.node.affairs.reporting.story import SaidTold, Story, VersionTold
from yidao.node.affairs.signoff.told import SignoffTold
from yidao.node.printing.revocations import revocation_facts
from yidao.sync.evidencefiles import ProvenRecord


def story_facts(story: Story, file_sha256: str) -> dict[str, object]:
    """Give what `yidao evidence verify --json` prints of a return; times in Unix units."""
    return {
        "verified": True,
        "file_sha256": file_sha256,
        "network": story.network,
        "node": str(story.origin.path),
        "unit": story.key.unit,
        "unit_name": story.unit_name,
        "registered": story.registration is not None,
        "pack": story.key.pack,
        "form": story.key.form,
        "period": story.key.period,
        "versions": [_version(story, version) for version in story.versions],
        "packs": [
            {"pack": pack.id, "version": pack.version, "sha256": pack.digest} | _record(record)
            for pack, record in story.packs.values()
        ],
        "revocations": revocation_facts(story.revocations),
    }


def _version(story: Story, version: VersionTold) -> dict[str, object]:
    verdict = story.verdict_on(version)
    signed = story.signoff_of(version)
    return _record(version.record) | {
        "version": version.number,
        "figures": None if version.row is None else dict(version.row),
        "verdict": None if verdict is None or verdict.decision is None else verdict.decision.value,
        "said": [_said(each) for each in story.said_of(version)],
        "signed_off": None if signed is None else _signoff(signed),
    }


def _said(said: SaidTold) -> dict[str, object]:
    return _record(said.record) | {
        "decision": None if said.decision is None else said.decision.value,
        "reason": said.reason,
        "by_letter": said.by_letter,
        "other_returns_in_letter": said.others,
    }


def _signoff(told: SignoffTold) -> dict[str, object]:
    policy = told.policy.policy
    return _record(told.record) | {
        "signers": [
            {"actor": each.approver.actor, "name": each.approver.name, "time_s": each.time_s}
            for each in told.signers
        ],
        "threshold": policy.threshold,
        "approvers": len(policy.approvers),
        "returns": told.batch.count,
        "signed_root": told.batch.root,
        "policy": told.batch.policy,
        "base_policy": told.policy.line[-1].policy.digest(),
        "filed_by": told.filing.header.actor if told.filing else None,
    }


def _record(record: ProvenRecord) -> dict[str, object]:
    header = record.header
    return {
        "record_id": header.record_id,
        "kind": header.kind,
        "actor": header.actor,
        "at": str(record.origin.path),
        "created_ms": header.created_ms,
        "journal": record.checkpoint.origin,
        "seq": record.seq,
        "tree_size": record.checkpoint.size,
        "root": record.checkpoint.root,
        "parts": [part.name for part in record.parts],
        "parts_absent": [
            digest.name for digest in header.parts if record.body(digest.name) is None
        ],
        "cosigned_by": [
            {"path": str(each.path), "time_s": each.time_s} for each in record.cosigners
        ],
        "not_cosigned_by": [
            str(tier.path)
            for tier in record.tiers
            if tier.node_id not in {each.node_id for each in record.cosigners}
        ],
    }
