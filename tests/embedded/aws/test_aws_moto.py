"""moto within this process: what it keeps."""

from __future__ import annotations

import gc

from lockgate.embedded.aws import moto_services

ACCOUNT, REGION = "123456789012", "us-east-1"


def test_nothing_is_kept_of_an_account_that_is_gone() -> None:
    def images() -> int:
        from moto.ec2.models import ec2_backends
        from moto.ec2.models.amis import Ami

        moto_services.reset(ACCOUNT, REGION)
        assert ec2_backends[ACCOUNT][REGION].amis
        gc.collect()
        return sum(type(each) is Ami for each in gc.get_objects())

    moto_services.load()
    assert images() == images()
