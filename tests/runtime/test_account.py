"""Provisioning the account: what cannot be made is reported, and the rest is made."""

from __future__ import annotations

import asyncio

from lockgate.controllers.aws import Aws
from lockgate.edge.location import Place
from lockgate.edge.supply import AcmCertificate, Supply, Zone
from lockgate.embedded.aws import AwsApi
from lockgate.runtime.account import Provisioner

KEY, SECRET = "AKIAEDGE", "secret"
ARN = "arn:aws:acm:eu-west-1:123456789012:certificate/"


def test_a_certificate_without_a_zone_is_reported_and_the_others_are_made() -> None:
    async def main() -> None:
        api = AwsApi("123456789012", "eu-west-1", access_key_id=KEY, secret_access_key=SECRET)
        await api.start()
        aws = Aws(region="eu-west-1", endpoint=api.url, access_key_id=KEY, secret_access_key=SECRET)
        try:
            supply = Supply(
                Place("123456789012", "eu-west-1"),
                zones=(Zone("shop.example", None, "zone"),),
                certificates=(
                    AcmCertificate(f"{ARN}1", ("other.example",), "certificate 1: of other.example"),
                    AcmCertificate(f"{ARN}2", ("shop.example",), "certificate 2: of shop.example"),
                ),
            )
            (fault,) = await Provisioner(api, aws).provide(supply)
            assert fault.code.id == "LG9004"
            assert fault.message == "certificate 1 cannot be made: no hosted zone has the name other.example"
            assert f"{ARN}2" in {each.arn for each in await api.pending_certificates()}
        finally:
            aws.close()
            await api.stop()

    asyncio.run(main())
