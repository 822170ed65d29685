"""The AWS API of one account: EC2, EKS, ELBv2, IAM, ACM, Route 53, S3, STS and WAFv2 on one loopback port.

EC2, IAM, S3 and WAFv2 are moto's. EKS, ELBv2, ACM, Route 53 and STS are implemented here, because moto lacks too much
of them and accepts too much that AWS refuses. moto parses requests and serialises answers for all of them.
"""

from lockgate.embedded.aws.api import AwsApi, preload
from lockgate.embedded.aws.certificate_manager import PendingCertificate

__all__ = ["AwsApi", "PendingCertificate", "preload"]
