"""The console: pages for administrators, auditors and data-protection officers, under /console.

What a page shows or does comes from `api.admin`; here are routes, forms, sessions, roles and templates.
"""
