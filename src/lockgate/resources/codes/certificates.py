"""LG3xxx: certificates of ACM and cert-manager, and what uses them."""
