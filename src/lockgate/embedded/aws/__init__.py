"""The AWS API of one account: EC2, ELBv2, ACM, Route 53, S3, STS and WAFv2 on one loopback port.

EC2, S3, STS and WAFv2 are moto's. ELBv2, ACM and Route 53 have states of their own here: what moto accepts and AWS
refuses there, and what it lacks, outgrew what it gives. moto parses and serialises for all of them.
"""

from lockgate.embedded.aws.api import AwsApi, preload
from lockgate.embedded.aws.certificate_manager import PendingCertificate

__all__ = ["AwsApi", "PendingCertificate", "preload"]
