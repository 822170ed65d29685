"""Admission webhooks of the users' own controllers, called as kube-apiserver calls them.

A write is decided in one step that does not wait (`writes`). Where a webhook has a say, that step raises `Question`.
The API asks the webhook, keeps the answer in the request's `Admission`, and decides the write again with it. So an
object that changes meanwhile is seen as it then is, and its webhooks are asked again.
"""
