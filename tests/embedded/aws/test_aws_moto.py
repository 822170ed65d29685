"""moto within this process: what it keeps."""

from __future__ import annotations

import gc

from lockgate.embedded.aws import ec2, moto_import, moto_services

ACCOUNT, REGION = "123456789012", "us-east-1"


def test_nothing_is_kept_of_a_closed_account() -> None:
    def images() -> int:
        from moto.ec2.models import ec2_backends
        from moto.ec2.models.amis import Ami

        moto_services.reset(ACCOUNT, REGION)
        assert ec2_backends[ACCOUNT][REGION].amis
        gc.collect()
        return sum(type(each) is Ami for each in gc.get_objects())

    moto_import.load()
    assert images() == images()


def test_images_are_created_when_first_asked_for() -> None:
    """They come with a snapshot each. The node's instance needs none of them."""
    moto_services.reset(ACCOUNT, REGION)
    _, _, zones = ec2.default_vpc(ACCOUNT, REGION)
    ec2.create_instance(ACCOUNT, REGION, "i-0123", "10.0.0.1", zones[0])

    from moto.ec2.models import ec2_backends

    backend = ec2_backends[ACCOUNT][REGION]
    assert not backend.snapshots
    assert [each.id for each in backend.describe_images(filters={"image-id": ["ami-12c6146b"]})] == ["ami-12c6146b"]
    assert len(backend.snapshots) == len(backend.amis) > 500


def test_the_node_is_a_linux_machine_as_on_eks() -> None:
    moto_services.reset(ACCOUNT, REGION)
    _, _, zones = ec2.default_vpc(ACCOUNT, REGION)
    ec2.create_instance(ACCOUNT, REGION, "i-0123", "10.0.0.1", zones[0])

    from moto.ec2.models import ec2_backends

    instance = ec2_backends[ACCOUNT][REGION].get_instance("i-0123")
    found = (instance.platform, instance.architecture, instance.virtualization_type)
    assert found == (None, "x86_64", "hvm")
