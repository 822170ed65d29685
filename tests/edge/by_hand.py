"""A load balancer as a team's own script makes it, with boto3 and no Ingress."""

import json

import boto3

ec2, elbv2 = boto3.client("ec2"), boto3.client("elbv2")
subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
(balancer,) = elbv2.create_load_balancer(Name="by-hand", Subnets=subnets, Scheme="internal")["LoadBalancers"]
elbv2.create_listener(
    LoadBalancerArn=balancer["LoadBalancerArn"],
    Port=80,
    Protocol="HTTP",
    DefaultActions=[
        {
            "Type": "fixed-response",
            "FixedResponseConfig": {"StatusCode": "418", "ContentType": "text/plain", "MessageBody": "teapot"},
        }
    ],
)
print(json.dumps({"dns_name": balancer["DNSName"]}))
