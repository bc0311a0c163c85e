//! The RPCs that the command line calls.

use prost::Message;

use crate::proto;

/// The package of the contract.
pub(super) const PACKAGE: &str = "circonus.usermanagement.v1";

/// A message with its name in the contract.
pub(super) trait Named: Message + Default {
    /// Without the package.
    const NAME: &'static str;
}

/// A request, which stands for its RPC.
pub(super) trait Call: Named + Clone + 'static {
    /// What comes back.
    type Answer: Named + 'static;
    /// The RPC.
    const PATH: &'static str;
}

/// A request for one page of a list.
pub(super) trait List: Call {
    /// What is listed.
    type Item: Named + 'static;
    /// Turns to a page.
    fn turn(&mut self, size: i32, token: String);
    /// What a page holds, and the token of the one after it.
    fn taken(answer: Self::Answer) -> (Vec<Self::Item>, String);
}

/// What the contract has to say of one RPC; a test holds it against the descriptors.
#[cfg(test)]
pub(super) struct Known {
    path: &'static str,
    request: &'static str,
    answer: &'static str,
}

macro_rules! calls {
    ($($service:ident { $($rpc:ident: $request:ident => $answer:ident $({ $items:ident: $item:ident })?),* $(,)? })*) => {
        $($(
            impl Named for proto::$request {
                const NAME: &'static str = stringify!($request);
            }

            impl Named for proto::$answer {
                const NAME: &'static str = stringify!($answer);
            }

            impl Call for proto::$request {
                type Answer = proto::$answer;
                const PATH: &'static str =
                    concat!("/circonus.usermanagement.v1.", stringify!($service), "/", stringify!($rpc));
            }

            $(
                impl List for proto::$request {
                    type Item = proto::$item;

                    fn turn(&mut self, size: i32, token: String) {
                        (self.page_size, self.page_token) = (size, token);
                    }

                    fn taken(answer: Self::Answer) -> (Vec<Self::Item>, String) {
                        (answer.$items, answer.next_page_token)
                    }
                }
            )?
        )*)*

        #[cfg(test)]
        const KNOWN: &[Known] = &[$($(
            Known {
                path: <proto::$request as Call>::PATH,
                request: stringify!($request),
                answer: stringify!($answer),
            },
        )*)*];
    };
}

calls! {
    UserManagement {
        CreateAccount: CreateAccountRequest => CreateAccountResponse,
        GetAccount: GetAccountRequest => GetAccountResponse,
        ListAccounts: ListAccountsRequest => ListAccountsResponse { accounts: Account },
        UpdateAccount: UpdateAccountRequest => UpdateAccountResponse,
        InviteUser: InviteUserRequest => InviteUserResponse,
        BatchInviteUsers: BatchInviteUsersRequest => BatchInviteUsersResponse,
        UpdateInvitation: UpdateInvitationRequest => UpdateInvitationResponse,
        GetInvitation: GetInvitationRequest => GetInvitationResponse,
        ListInvitations: ListInvitationsRequest => ListInvitationsResponse { invitations: Invitation },
        ResendInvitation: ResendInvitationRequest => ResendInvitationResponse,
        WithdrawInvitation: WithdrawInvitationRequest => WithdrawInvitationResponse,
        GetMember: GetMemberRequest => GetMemberResponse,
        ListMembers: ListMembersRequest => ListMembersResponse { members: Member },
        ChangePrivilege: ChangePrivilegeRequest => ChangePrivilegeResponse,
        AssignRoles: AssignRolesRequest => AssignRolesResponse,
        RemoveMember: RemoveMemberRequest => RemoveMemberResponse,
        BatchUpdateMembers: BatchUpdateMembersRequest => BatchUpdateMembersResponse,
        CloseAccount: CloseAccountRequest => CloseAccountResponse,
        ReopenAccount: ReopenAccountRequest => ReopenAccountResponse,
        GetUser: GetUserRequest => GetUserResponse,
        ListUsers: ListUsersRequest => ListUsersResponse { users: User },
        CreateUser: CreateUserRequest => CreateUserResponse,
        SendPasswordReset: SendPasswordResetRequest => SendPasswordResetResponse,
        DeactivateUser: DeactivateUserRequest => DeactivateUserResponse,
        ReactivateUser: ReactivateUserRequest => ReactivateUserResponse,
        DeleteUser: DeleteUserRequest => DeleteUserResponse,
        RevokeSessions: RevokeSessionsRequest => RevokeSessionsResponse,
    }
    Access {
        CheckAccess: CheckAccessRequest => CheckAccessResponse,
        ListPermissions: ListPermissionsRequest => ListPermissionsResponse,
    }
    Operations {
        GetServerInfo: GetServerInfoRequest => GetServerInfoResponse,
        CreateService: CreateServiceRequest => CreateServiceResponse,
        ListServices: ListServicesRequest => ListServicesResponse { services: Service },
        RevokeService: RevokeServiceRequest => RevokeServiceResponse,
        RevokeToken: RevokeTokenRequest => RevokeTokenResponse,
        ListEvents: ListEventsRequest => ListEventsResponse { events: Event },
        VerifyEvents: VerifyEventsRequest => VerifyEventsResponse,
        ExportEvents: ExportEventsRequest => ExportEventsResponse,
        ListMail: ListMailRequest => ListMailResponse { mails: Mail },
        RetryMail: RetryMailRequest => RetryMailResponse,
        PreviewEdition: PreviewEditionRequest => PreviewEditionResponse { changes: EditionChange },
        SetSuperAdmin: SetSuperAdminRequest => SetSuperAdminResponse,
        RotateLinkKey: RotateLinkKeyRequest => RotateLinkKeyResponse,
    }
}

macro_rules! named {
    ($($message:ident),* $(,)?) => {$(
        impl Named for proto::$message {
            const NAME: &'static str = stringify!($message);
        }
    )*};
}

named! { Account, EditionChange, Event, Invitation, InviteResult, Mail, Member, Service, User }

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn every_call_is_an_rpc_of_the_contract() {
        let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
        for known in KNOWN {
            let (service, rpc) = known.path.trim_start_matches('/').split_once('/').unwrap();
            let service = pool.get_service_by_name(service).unwrap();
            let method = service.methods().find(|method| method.name() == rpc).unwrap_or_else(|| panic!("no {rpc}"));
            assert_eq!((method.input().name(), method.output().name()), (known.request, known.answer));
            assert_eq!(service.package_name(), PACKAGE);
        }
    }

    #[test]
    fn every_rpc_is_called_that_is_not_a_persons_own() {
        let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
        let paths = |service: prost_reflect::ServiceDescriptor| {
            service.methods().map(|method| format!("/{}/{}", service.full_name(), method.name())).collect::<Vec<_>>()
        };
        let of_operators = pool.services().filter(|service| service.name() != "Identity").flat_map(paths);
        let missing: Vec<String> = of_operators.filter(|path| KNOWN.iter().all(|known| known.path != path)).collect();
        // which role opens what is the same on every server of an edition, and stands in the README
        assert_eq!(missing, [format!("/{PACKAGE}.Access/GetAccessModel")]);
    }
}
